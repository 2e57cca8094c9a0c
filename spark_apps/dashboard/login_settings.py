"""Settings of the login with OpenID Connect, from TWEETS_OIDC_… environment variables."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from spark_apps.settings import load_from_environment

Role = Literal["viewer", "operator", "releaser"]


def _parse(text: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError('write JSON, such as {"viewer": ["analysts"]}') from None


def _is_not_empty(roles: dict[Role, list[str]]) -> dict[Role, list[str]]:
    if not any(roles.values()):
        raise ValueError("no role has a group: nobody could log in")
    return roles


class LoginSettings(BaseSettings):
    """An identity provider, the client that is registered there, and the groups of each role."""

    # A Secret that was created from a file often ends with a line break.
    model_config = SettingsConfigDict(
        env_prefix="TWEETS_OIDC_", env_ignore_empty=True, extra="ignore", str_strip_whitespace=True
    )

    issuer: str = Field(pattern="^https?://", description="URL of the identity provider")
    client_id: str = Field(description="id of the client")
    client_secret: SecretStr = Field(description="secret of the client")
    cookie_secret: SecretStr = Field(min_length=32, description="key that signs the cookies of logged-in people")
    dashboard_url: str = Field(pattern="^https?://[^/]+$", description="URL of the dashboard, without a path")
    scopes: str = Field("openid profile email", pattern="^(.* )?openid( .*)?$", description="scopes to request")
    roles_claim: str = Field("groups", description="claim of the ID token that names the groups of a person")
    roles: Annotated[dict[Role, list[str]], NoDecode, BeforeValidator(_parse), AfterValidator(_is_not_empty)] = Field(
        description="groups of each role, as JSON"
    )
    session_hours: float = Field(12, gt=0, description="hours after which a person must log in again")

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        """Return the roles of a person.

        Args:
            claims: claims of the ID token. The claim with the groups is a list, or one group.
        """
        claim = claims.get(self.roles_claim)
        groups = {group for group in (claim if isinstance(claim, list) else [claim]) if isinstance(group, str)}
        return frozenset(role for role, members in self.roles.items() if groups.intersection(members))

    def write_secrets(self, folder: Path) -> Path:
        """Write the configuration of `st.login` to a file that only this user can read; return its path."""
        auth = {
            "redirect_uri": f"{self.dashboard_url}/oauth2callback",
            "cookie_secret": self.cookie_secret.get_secret_value(),
            "client_id": self.client_id,
            "client_secret": self.client_secret.get_secret_value(),
            "server_metadata_url": f"{self.issuer.rstrip('/')}/.well-known/openid-configuration",
        }
        # A string of JSON is a string of TOML, if only control characters are escaped.
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in auth.items()]
        lines += [f"client_kwargs = {{scope = {json.dumps(self.scopes)}}}"]
        file = folder / "secrets.toml"
        file.touch(mode=0o600, exist_ok=False)
        file.write_text("\n".join(["[auth]", *lines, ""]), encoding="utf-8")
        return file


def login_settings() -> LoginSettings | None:
    """Read the settings; return None if no TWEETS_OIDC_ variable is set: the dashboard then has no login.

    Raises:
        SettingsError: some settings are missing or invalid. A login must never be off because of a mistake.
    """
    if not any(value for name, value in os.environ.items() if name.startswith("TWEETS_OIDC_")):
        return None
    return load_from_environment(LoginSettings)

"""A kubeconfig for an API server that a test has started."""

from pathlib import Path

import yaml


def kubeconfig(folder: Path, url: str) -> str:
    """Write a kubeconfig for the API server at `url`; return its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return str(file)

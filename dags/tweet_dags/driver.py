"""Asking a driver how far it is, so that what the driver does is not mistaken for what the network does."""

import http.client
import json

from tweet_dags.seen import Answer, Heard, Object, get

_PORT = 8090
_SECONDS = 5.0


def ask(driver: Object | None) -> Answer | None:
    """Ask the driver of a pod; None where there is none, or where it has no address yet."""
    address = get(driver, "status", "podIP")
    return heard(str(address)) if address else None


def heard(address: str, port: int = _PORT, seconds: float = _SECONDS) -> Answer:
    """Ask what listens at `address`, and tell apart who did not answer: the driver, or the way to it.

    Not by urllib, which would go through a proxy where one is set, and answer with the proxy's word.
    """
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            return Answer(Heard.REFUSED, says=str(error))
        except OSError as error:
            return Answer(Heard.UNREACHABLE, says=f"no connection to {address}:{port}: {error}")
        try:
            connection.request("GET", "/progress")
            response = connection.getresponse()
            said = response.read()
        except TimeoutError:
            return Answer(Heard.SILENCE, says=f"nothing within {seconds:.0f} s")
        except (OSError, http.client.HTTPException) as error:
            # A driver that ends just now, or a proxy beside it.
            return Answer(Heard.UNREACHABLE, says=f"the connection to {address}:{port} broke: {error!r}")
    finally:
        connection.close()
    return _read(said, response.status, address)


def _read(said: bytes, status: int, address: str) -> Answer:
    try:
        progress = json.loads(said)
        streams = progress["streams"].items()
        return Answer(
            Heard.ANSWER,
            batches={name: int(stream["batch"]) for name, stream in streams},
            ages={name: float(stream["seconds_since_progress"]) for name, stream in streams},
            error=str(progress.get("error") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Answer(Heard.UNREACHABLE, says=f"what answers at {address} is no driver: HTTP {status}, {said[:80]!r}")

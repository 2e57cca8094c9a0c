"""Zip archives in memory."""

import io
import zipfile
from collections.abc import Mapping


def zip_archive(members: Mapping[str, bytes | str]) -> bytes:
    """Return a compressed zip archive of files, given by name and content."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()

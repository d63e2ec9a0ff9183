"""Files: kinds that slices declare, kept on the local disk or in an S3-compatible store."""

from strongback.file.kind import FileKind, FileKinds, Variant
from strongback.file.permission import FilePermission

__all__ = ["FileKind", "FileKinds", "FilePermission", "Variant"]

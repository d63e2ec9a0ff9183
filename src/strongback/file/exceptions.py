"""Errors of files.

StrongbackError
└── StoreError                       the store failed; callers turn it into `StoreUnavailable`
ContentTooLarge
├── FileTooLarge            413 17001
└── QuotaExceeded           413 17002
ValidationFailed
├── UnknownKind             422 17003
├── WrongFileType           422 17004
├── EmptyFile               422 17005
├── FileRefused             422 17006
├── HeicRefused             422 17021
└── ImageRefused            422 17022
    ├── ImageDamaged        422 17023
    ├── TooManyPixels       422 17024
    ├── TooManyFrames       422 17025
    ├── TooManyMovingPixels 422 17026
    └── ImageTooComplex     422 17027
APIException
└── RangeNotSatisfiable     416 17007
Conflict
├── NoDirectUpload          409 17008
└── NotUploaded             409 17009
ServiceUnavailable
├── StoreUnavailable        503 17010
└── ImagesUnavailable       503 17028
"""

from __future__ import annotations

from strongback.exceptions import (
    APIException,
    Conflict,
    ContentTooLarge,
    ServiceUnavailable,
    StrongbackError,
    ValidationFailed,
)


class StoreError(StrongbackError):
    """The store failed, or did not answer in time; the message says how."""


class FileTooLarge(ContentTooLarge):
    """The file is larger than its kind allows."""

    error_code = 17001
    message = "The file is too large: {kind} may have {limit} bytes."


class QuotaExceeded(ContentTooLarge):
    """The files of the account would take more than its quota."""

    error_code = 17002
    message = "Your files would take more than {limit} bytes. Delete some first."


class UnknownKind(ValidationFailed):
    """No part or slice declares this kind of file."""

    error_code = 17003
    message = "There is no kind of file {kind}. Choose one of {kinds}."


class WrongFileType(ValidationFailed):
    """The content of the file is of another type than its kind allows, whatever its name says."""

    error_code = 17004
    message = "The file is {found}. Send one of {types}."


class EmptyFile(ValidationFailed):
    """The file has no content."""

    error_code = 17005
    message = "The file is empty."


class FileRefused(ValidationFailed):
    """A scanner refuses the file."""

    error_code = 17006
    message = "The file was refused: {reason}."


class RangeNotSatisfiable(APIException):
    """The requested range begins after the end of the file; see `Content-Range`."""

    code = 416
    error_code = 17007
    message = "The range lies outside of the file."


class NoDirectUpload(Conflict):
    """The store of this server takes no uploads from clients."""

    error_code = 17008
    message = "This server takes no direct uploads. Send the file to POST /files."


class NotUploaded(Conflict):
    """The upload is to be completed, and its content has not arrived at the store."""

    error_code = 17009
    message = "The content has not arrived. Send it to the address of the upload first."


class StoreUnavailable(ServiceUnavailable):
    """The store of the files does not answer; see `Retry-After`."""

    error_code = 17010
    message = "The store of the files is temporarily unavailable."


class HeicRefused(ValidationFailed):
    """An iPhone's format, for which this server has no decoder, or which the kind leaves out."""

    error_code = 17021
    message = (
        "HEIC images are not accepted here. Send JPEG instead: an iPhone takes such pictures with"
        " Settings, Camera, Formats, Most Compatible."
    )


class ImageRefused(ValidationFailed):
    """The image cannot be taken."""

    error_code = 17022
    message = "The image was refused."


class ImageDamaged(ImageRefused):
    """The content is not an image of the type with which it begins, or only a part of one."""

    error_code = 17023
    message = "The image is damaged or incomplete. Open it in an image editor and save it anew."


class TooManyPixels(ImageRefused):
    """The image has too many pixels, however few bytes they take."""

    error_code = 17024
    message = "The image has more than {limit} megapixels. Make it smaller and send it again."


class TooManyFrames(ImageRefused):
    """The animation is too long."""

    error_code = 17025
    message = "The animation has more than {limit} frames. Make it shorter and send it again."


class TooManyMovingPixels(ImageRefused):
    """The frames of the animation are too large."""

    error_code = 17026
    message = (
        "A frame of the animation has more than {limit} megapixels."
        " Make it smaller and send it again."
    )


class ImageTooComplex(ImageRefused):
    """Decoding the image takes more memory or time than one request may have."""

    error_code = 17027
    message = (
        "The image takes too much memory or time to decode."
        " Save it as a plain JPEG or PNG, or smaller, and send it again."
    )


class ImagesUnavailable(ServiceUnavailable):
    """Too many images wait for their turn, or the server has no room to decode one."""

    error_code = 17028
    message = "Images cannot be taken at the moment. Send it again in a little while."

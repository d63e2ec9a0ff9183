"""Errors of images.

ValidationFailed
├── HeicRefused                  422 17021
└── ImageRefused                 422 17022
    ├── ImageDamaged             422 17023
    ├── TooManyPixels            422 17024
    ├── TooManyFrames            422 17025
    ├── TooManyMovingPixels      422 17026
    └── ImageTooComplex          422 17027
ServiceUnavailable
└── ImagesUnavailable            503 17028
"""

from __future__ import annotations

from strongback.exceptions import ServiceUnavailable, ValidationFailed


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

"""The services of an application, by class."""

from __future__ import annotations

from typing import Any, TypeVar

from strongback.collision import path_of
from strongback.exceptions import ConfigurationError

ServiceT = TypeVar("ServiceT")


class Services:
    """One instance of each class."""

    def __init__(self) -> None:
        self._instances: dict[type, Any] = {}

    def add(self, *services: object) -> None:
        """Add services.

        Raises:
            ConfigurationError: A service of this class exists already.
        """
        for service in services:
            if type(service) in self._instances:
                raise ConfigurationError(
                    f"{path_of(type(service))} is provided twice: two parts of the application"
                    " register it, or one part is registered twice"
                )
            self._instances[type(service)] = service

    def __getitem__(self, kind: type[ServiceT]) -> ServiceT:
        try:
            service: ServiceT = self._instances[kind]
        except KeyError:
            raise ConfigurationError(
                f"{path_of(kind)} is not provided: register the part or slice that has it"
            ) from None
        return service

    def __contains__(self, kind: type) -> bool:
        return kind in self._instances

    def find(self, kind: type[ServiceT]) -> ServiceT | None:
        """The service of a class, or None if its part is not registered."""
        return self._instances.get(kind)

    def close(self) -> None:
        """Close all services that have `close`, the last one first."""
        for service in reversed(self._instances.values()):
            close = getattr(service, "close", None)
            if callable(close):
                close()

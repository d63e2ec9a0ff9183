"""Routes that are compiled once for all applications of a test process."""

from __future__ import annotations

from typing import Any, ClassVar

from werkzeug.routing import Rule


class SharedRule(Rule):
    """A route like any other, which takes what an equal one has been compiled to.

    Werkzeug compiles each route to Python: more than half of the time in which an application is
    built, and tests build thousands of the same.
    """

    _compiled: ClassVar[dict[object, dict[str, Any]]] = {}

    def compile(self) -> None:
        """Compile the route, unless an equal one was."""
        assert self.map is not None
        about = {name: value for name, value in vars(self).items() if name not in _NOT_COMPILED}
        converters = frozenset(self.map.converters.items())
        key = (repr(about), self.map.host_matching, converters)
        if key not in self._compiled:
            before = dict(vars(self))
            super().compile()
            learned = {k: v for k, v in vars(self).items() if before.get(k) is not v}
            self._compiled[key] = learned | {"arguments": self.arguments}
        vars(self).update(self._compiled[key])


_NOT_COMPILED = {"map", "endpoint", "methods", "redirect_to", "arguments"}

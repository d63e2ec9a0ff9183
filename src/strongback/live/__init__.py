"""What happens in the application, live: the progress of jobs, and the state for operators.

It needs the tasks and realtime.
"""

from strongback.live.part import register
from strongback.live.permission import OperationPermission

__all__ = ["OperationPermission", "register"]

from __future__ import annotations

from app.core.permission import ROLES, Permission, Role, allowed
from strongback.file.permission import FilePermission
from strongback.live.permission import OperationPermission
from strongback.notification.permission import NotificationPermission
from strongback.realtime.permission import RealtimePermission
from strongback.task.permission import TaskPermission


def test_a_role_allows_more_than_the_one_below():
    assert ROLES[Role.USER] <= ROLES[Role.AUTHOR] < ROLES[Role.ADMIN]
    framework = (
        FilePermission,
        NotificationPermission,
        OperationPermission,
        RealtimePermission,
        TaskPermission,
    )
    parts = {each for permissions in framework for each in permissions}
    assert ROLES[Role.ADMIN] == {*Permission, *parts}


def test_several_roles_allow_what_any_of_them_does():
    assert allowed(["user", "author"]) == ROLES[Role.AUTHOR]
    assert allowed([]) == frozenset()


def test_a_permission_is_its_own_scope_and_says_what_it_allows():
    assert Permission("follow:write") is Permission.FOLLOW_WRITE
    assert str(Permission.FOLLOW_WRITE) == "follow:write"
    assert all(permission.description.endswith(".") for permission in Permission)

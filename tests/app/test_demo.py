from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.main import create_app
from app.user.model import User
from strongback.config import Environment
from strongback.database import Base, Database
from strongback.testing import empty


@pytest.mark.parametrize("command", [["serve", "--demo"], ["demo"]])
def test_production_gets_no_account_whose_password_is_printed(settings, command):
    app = create_app(settings.model_copy(update={"app_env": Environment.PRODUCTION}))
    database: Database = app.services[Database]
    empty(database, Base.metadata)
    result = app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert "Demo accounts do not belong in production" in result.output
    with database.scope():
        assert database.session.scalar(select(func.count()).select_from(User)) == 0
    database.close()

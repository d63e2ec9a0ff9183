"""Chooses the engine that serves the indexes, by the settings."""

from __future__ import annotations

from strongback.config import Settings
from strongback.extra import require_extra
from strongback.search.engine import Engine


def build_engine(settings: Settings) -> Engine:
    """Meilisearch where `MEILI_URL` names one, else tantivy in `APP_VAR_DIR`, not yet opened.

    Raises:
        ConfigurationError: The extra `search` is not installed, and Meilisearch not configured.
    """
    # Imported here: a process pays for the one that it uses.
    if settings.meili_url is not None:
        from strongback.search.meilisearch import MeilisearchEngine  # noqa: PLC0415  above

        key = settings.meili_master_key.get_secret_value()
        return MeilisearchEngine(settings.meili_url, key, prefix=settings.meili_prefix)
    require_extra("search", "The embedded search")
    from strongback.search.tantivy import TantivyEngine  # noqa: PLC0415  above

    return TantivyEngine(settings.app_var_dir / "search")

"""Routes that find articles."""

from __future__ import annotations

from app.article.search_node import SearchAnswers
from app.article.search_schema import SearchQuery, SearchResults, Suggestions, SuggestQuery
from strongback.web import APIBlueprint, Response, inject, limited, public
from strongback.web.limit import principal as caller

api = APIBlueprint("search", __name__, url_prefix="/api/v1/search")
answers = inject(SearchAnswers)


@api.get("", responses={200: SearchResults})
@public
@limited("300/minute", key=caller, on_outage="process")
def search_articles(query: SearchQuery) -> Response:
    """Search published articles; tolerates typos and segments Chinese."""
    return Response.of_data(answers.find(query))


@api.get("/suggest", responses={200: Suggestions})
@public
@limited("600/minute", key=caller, on_outage="process")
def suggest_articles(query: SuggestQuery) -> Response:
    """Suggest titles for incomplete input."""
    return Response.of_data(answers.suggest(query))

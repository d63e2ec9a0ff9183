from __future__ import annotations

import pytest

from strongback.search import Attribute, Index, Kind, SearchMisuse

ID, TITLE = Attribute("id", Kind.INTEGER), Attribute("title", weight=1)


@pytest.mark.parametrize(
    "attributes, options, problem",
    [
        ((ID, TITLE, TITLE), {}, "declared twice"),
        ((ID,), {}, "nothing is searched"),
        ((TITLE,), {}, "id is not an attribute"),
        ((ID, TITLE), {"suggests": "name"}, "name is not an attribute"),
        ((ID, TITLE), {"suggests": "id"}, "give it a weight"),
        ((ID, TITLE), {"ranking": ("-title",)}, "needs it to be sortable"),
        ((ID, TITLE), {"ranking": ("likes",)}, "likes is not an attribute"),
        ((Attribute("id", Kind.INTEGER, weight=1), TITLE), {}, "only text has a weight"),
        ((ID, Attribute("title", weight=-1)), {}, "not negative"),
        ((ID, TITLE, Attribute("tags", multi_valued=True, sortable=True)), {}, "sorted by a list"),
        ((ID, TITLE, Attribute("tags", alias="title")), {}, "alias title is taken"),
        ((ID, TITLE, Attribute("drop table")), {}, "is not a name"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(attributes, options, problem):
    with pytest.raises(SearchMisuse, match=problem):
        Index("book", key="id", attributes=attributes, **options)


def test_what_is_not_declared_is_a_defect_of_the_code():
    index = Index("book", key="id", attributes=(ID, TITLE))
    assert index.find("unknown") is None
    with pytest.raises(SearchMisuse):
        _ = index["unknown"]


def test_an_attribute_is_found_by_its_name_and_its_alias():
    tags = Attribute("tags", multi_valued=True, facet=True, alias="tag")
    index = Index("book", key="id", attributes=(ID, TITLE, tags))
    assert index.find("tag") is index.find("tags") is tags
    assert tags.label == "tag"

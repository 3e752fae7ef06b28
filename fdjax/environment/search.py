"""Tool `search`: declarations of Lean's environment, by name, by words or by a part of a type."""

from fdjax.environment.protocol import Call
from fdjax.environment.tools import Answer, Scene, Tool
from fdjax.lean.search.index import Index
from fdjax.lean.search.query import MAX_QUERY

MAX_FOUND = 50
_FORM = (
    "parts of a name (`add_comm`), words (`excluded middle`), or a part of a type, in which one"
    " letter or `_` stands for any term (`_ + _ = _ + _`)"
)


def search_tool(index: Index, found: int = 10) -> Tool:
    """`found`: declarations of an answer, unless the call asks for another number."""

    def search(scene: Scene, call: Call) -> Answer:
        query, limit = call.arguments["query"], call.arguments.get("limit", found)
        if len(query) > MAX_QUERY:
            return Answer((f"a query has at most {MAX_QUERY} characters: {_FORM}",))
        declarations = index.search(query, min(max(limit, 1), MAX_FOUND))
        if not declarations:
            return Answer((f"nothing found; search for {_FORM}",))
        return Answer(tuple(map(str, declarations)))

    return Tool(
        "search",
        "Find declarations that a proof may use.",
        {
            "query": {"type": "string", "description": _FORM},
            "limit": {"type": "integer", "description": f"how many; {found} by default"},
        },
        search,
        required=("query",),
    )

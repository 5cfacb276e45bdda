"""A header's functions live in the file of its name; no files call, and no headers include, each other in a circle."""
import collections
import re

from common import ROOT, bare, files, finish, name

# Type, name, parameters: at the beginning of a line, over one or more lines.
_HEAD = r"^(?!typedef|static|extern|return|else|#)[A-Za-z_][\w \t*\n]*?[\s*](\w+)\((?:[^;{}()]|\([^;{}()]*\))*\)"
DECLARED = re.compile(_HEAD + r"[^;{}]*;", re.M)
DEFINED = re.compile(_HEAD + r"\s*\{", re.M)
PRIVATE = re.compile(r"^static\s[\w \t*\n]*?[\s*](\w+)\(", re.M)
INCLUDED = re.compile(r'^#include "([^"]+)"', re.M)
WORD = re.compile(r"(?<![.\w])(?<!->)(?<!struct )(?<!enum )[A-Za-z_]\w+")


def home_of_functions(sources):
    """Function with external linkage → the file that defines it."""
    return {m.group(1): path for path, text in sources.items() for m in DEFINED.finditer(text)}


def strays(headers, home):
    for path, text in headers.items():
        for match in DECLARED.finditer(text):
            function = match.group(1)
            defined_in = home.get(function)
            if defined_in is None:
                yield f"{name(path)}: {function}() is defined nowhere"
            elif defined_in != path.with_suffix(".c"):
                yield f"{name(path)}: {function}() is defined in {name(defined_in)}; declare it in its header"


def calls(sources, home):
    """File → the files whose functions it names, each with one such function."""
    graph = collections.defaultdict(dict)
    for path, text in sources.items():
        private = set(PRIVATE.findall(text))
        for word in set(WORD.findall(text)) - private:
            if word in home and home[word] != path:
                graph[path].setdefault(home[word], word)
    return graph


def inclusions(headers):
    """Header → the headers that it includes."""
    graph = {}
    for path in headers:
        # bare() blanks the names between the quotes
        included = (ROOT / "src" / target for target in INCLUDED.findall(path.read_text()))
        graph[path] = {other for other in included if other in headers}
    return graph


def circles(graph):
    """Strongly connected sets of more than one file (Tarjan)."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = set()
            while node not in members:
                members.add(stack.pop())
            on_stack.difference_update(members)
            if len(members) > 1:
                found.append(members)

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def complaints():
    # X_none.c takes the place of X.c in a build without an optional library.
    sources = {path: bare(path.read_text()) for path in files("src/**/*.c") if not path.stem.endswith("_none")}
    headers = {path: bare(path.read_text()) for path in files("src/**/*.h")}
    home = home_of_functions(sources)
    yield from strays(headers, home)
    graph = calls(sources, home)
    for members in circles(graph):
        for path in sorted(members):
            for other in sorted(members & set(graph[path])):
                yield f"circle: {name(path)} calls {graph[path][other]}() of {name(other)}"
    for members in circles(inclusions(headers)):
        yield "circle: these include each other: " + ", ".join(sorted(name(path) for path in members))


finish(list(complaints()), "homes")

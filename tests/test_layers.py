"""The house: packages form layers, files are of a size to read, no test module imports another."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path("fdjax")


def test_packages_form_layers():
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert end.returncode == 0, end.stdout


def test_files_are_of_a_size_to_read():
    sizes = {f: len(f.read_text().splitlines()) for f in PACKAGE.rglob("*.py")}
    assert {str(f): n for f, n in sizes.items() if n > 400} == {}
    assert len([f for f, n in sizes.items() if 0 < n < 50]) < 10
    entries = [entry for entry in PACKAGE.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= 17


def test_no_test_module_imports_another():
    for file in Path("tests").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            bad = [m for m in modules if m.split(".")[-1].startswith("test_")]
            assert not bad, f"{file} imports {bad}"

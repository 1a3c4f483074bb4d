"""The examples of docs/library.md in the cells of a real notebook kernel."""

from __future__ import annotations

import json
from pathlib import Path

from external_programs import CHECKOUT, install, run

from sandbox import Account, Sandbox

CELLS = """
import json, queue, re, sys, time
from jupyter_client.manager import start_new_kernel

settings = json.loads(sys.argv[1])
text = open(sys.argv[2]).read()
examples = re.findall(r"```python\n(.*?)```", text, flags=re.S)
manager, client = start_new_kernel(kernel_name="python3")


def execute(code):
    shown = []
    reply = client.execute_interactive(code, timeout=60, output_hook=shown.append)
    content = reply["content"]
    assert content["status"] == "ok", content
    return "".join(m["content"].get("text", "") for m in shown if m["msg_type"] == "stream")


execute(f'''
import tap_klaviyo.tap
class SandboxTap(tap_klaviyo.tap.Tap):
    def __init__(self, config, *documents):
        super().__init__({{**config, **{settings!r}}}, *documents)
tap_klaviyo.tap.Tap = SandboxTap
''')
print("".join(execute(example) for example in examples))

# The stop button interrupts the kernel, and nothing is left running in it.
client.execute("for lists in tap.records('receive'):\n    import time; time.sleep(0.5)")
time.sleep(2)
manager.interrupt_kernel()
left = "[t.name for t in __import__('threading').enumerate() if '_loop' in t.name]"
for _ in range(20):
    shown = execute(f"import time; time.sleep(0.25); print({left})")
    if shown.strip() == "[]":
        break
print("left:", shown.strip())
manager.shutdown_kernel(now=True)
"""


def test_cells_of_a_notebook(clone: Path, tmp_path: Path) -> None:
    """Every example runs in a kernel beside its event loop; an interrupt leaves no worker."""
    python = install(tmp_path / "env", clone, "ipykernel", "jupyter_client", "duckdb") / "python"
    with Sandbox(Account.seeded(seed=3, events=300)) as box:
        settings = json.dumps({"api_key": box.key, "base_url": box.url})
        command = (python, "-c", CELLS, settings, CHECKOUT / "docs" / "library.md")
        shown = run(*command, cwd=tmp_path, timeout=200).stdout
        assert f"{len(box.account.ids('list'))} lists" in shown
    assert "receive complete" in shown
    assert shown.splitlines()[-1] == "left: []"

"""Runs the examples of a document in a kernel; for an environment with jupyter_client.

Arguments: settings of the tap as JSON, the document.
"""

import json
import re
import sys
import time
from pathlib import Path

from jupyter_client.manager import start_new_kernel

SETTINGS, LIBRARY = json.loads(sys.argv[1]), Path(sys.argv[2]).read_text()
SANDBOX_TAP = f"""
import tap_klaviyo.tap
class SandboxTap(tap_klaviyo.tap.Tap):
    def __init__(self, config, *documents, **options):
        super().__init__({{**config, **{SETTINGS!r}}}, *documents, **options)
tap_klaviyo.tap.Tap = SandboxTap
"""
ENDLESS = """
import time
from pathlib import Path
for event in tap.records("receive"):
    time.sleep(0.1)
"""
WORKERS = """
import threading
print([thread.name for thread in threading.enumerate() if "_loop" in thread.name])
"""

manager, client = start_new_kernel(kernel_name="python3")


def execute(code: str) -> str:
    """The text that a cell prints; it must not raise."""
    shown: list[dict] = []
    reply = client.execute_interactive(code, timeout=60, output_hook=shown.append)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(one["content"]["text"] for one in shown if one["msg_type"] == "stream")


execute(SANDBOX_TAP)
for example in re.findall(r"```python\n(.*?)```", LIBRARY, flags=re.S):
    print(execute(example), end="")

# What the stop button of a notebook does.
request = client.execute(ENDLESS)
while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
    pass
time.sleep(1)
manager.interrupt_kernel()
while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != request:
    pass
for _ in range(20):
    workers = execute(WORKERS).strip()
    if workers == "[]":
        break
    time.sleep(0.25)
print("workers left:", workers)
manager.shutdown_kernel(now=True)

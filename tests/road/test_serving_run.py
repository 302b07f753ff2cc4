"""`mainstay demo --serve` as a user starts it: the line that it prints works, and a signal ends it well."""

import json
import shlex
import signal
import subprocess
import sys
import urllib.request


def test_a_demo_that_serves_prints_a_curl_line_that_works(tmp_path):
    command = [sys.executable, "-m", "mainstay", "demo", "--rows", "1500", "--epochs", "1", "--serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            printed = []
            for line in process.stdout:
                printed.append(line)
                if line.startswith("curl "):
                    break
            else:
                raise AssertionError("".join(printed) + process.stderr.read())
            words = shlex.split(printed[-1])
            body, url = words[words.index("-d") + 1], words[-1]
            with urllib.request.urlopen(f"http://{url}", body.encode(), timeout=60) as answer:
                (prediction,) = json.loads(answer.read())["predictions"]
            assert prediction["label"] in (0, 1)
            assert len(prediction["probabilities"]) == 2
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()

"""Alive when Mopidy answers a call on its loopback."""

import json
import urllib.request

request = urllib.request.Request(
    "http://127.0.0.1:6680/mopidy/rpc",
    json.dumps({"jsonrpc": "2.0", "id": 1, "method": "core.get_version"}).encode(),
    {"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=4) as answer:
    json.load(answer)["result"]

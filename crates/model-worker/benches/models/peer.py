"""The llama.cpp server, from the package `xllamacpp`, as what the benchmark compares with.

Every line of standard input is the body of a chat completion. The answer, the server's own timings in it, is a line of
standard output. Ends when its input does.
"""

import json
import os
import sys
import time
import urllib.request

import xllamacpp

weights, threads, context = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.model.path = weights
parameters.n_ctx = int(context)
parameters.n_parallel = 1
parameters.cpuparams.n_threads = int(threads)
parameters.cpuparams_batch.n_threads = int(threads)
began = time.monotonic()
server = xllamacpp.Server(parameters)
print(json.dumps({"load_ms": (time.monotonic() - began) * 1000}), flush=True)
# Whatever proxy this machine has is not for its own loopback.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for line in sys.stdin:
    request = urllib.request.Request(
        server.listening_address + "/v1/chat/completions",
        data=line.encode(),
        headers={"Content-Type": "application/json"},
    )
    with opener.open(request) as response:
        print(json.dumps(json.load(response)), flush=True)
# Not waiting for threads that have nothing to do any more.
os._exit(0)

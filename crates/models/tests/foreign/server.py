"""The llama.cpp server, from the package `xllamacpp`, as a child of the tests.

Says its address in one line, and ends when its standard input does: no test leaves it behind.
"""

import json
import os
import sys

import xllamacpp

weights, alias, key, context, slots = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.model.path = weights
parameters.model_alias = {alias}
parameters.api_keys = [key]
# Divided among the slots.
parameters.n_ctx = int(context)
parameters.n_parallel = int(slots)
# Others want to compute, too.
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
# Tells how many tokens were generated, whoever read them.
parameters.endpoint_metrics = True
server = xllamacpp.Server(parameters)
print(json.dumps({"address": server.listening_address}), flush=True)
sys.stdin.read()
# Whatever it is still computing is of no use to anyone.
os._exit(0)

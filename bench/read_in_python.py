"""Reads a secret again and again in one Python process. It takes the order `start` of load.c, with the name of the secret
in place of a command.

    read_in_python.py package CONFIGURATION   with the package mxm-secrets; the configuration as JSON
    read_in_python.py client SOCKET           with the client of this project, which asks the daemon
"""

import json
import pathlib
import resource
import sys
import time

# That of the daemons of the benches. The package wants two more, which no policy looks at.
IDENTITY = {"machine": "bridge", "environment": "dev", "role": "marketdata"}


def with_package(configuration):
    from mxm.secrets import SecretsApi
    from mxm.types.runtime_identity import RuntimeIdentity

    api = SecretsApi.from_config_data(json.loads(configuration))
    identity = RuntimeIdentity(**IDENTITY, app="bench", substrate="local-process")
    return lambda name: api.get_secret(name, identity=identity)


def with_client(path):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "clients/python"))
    from mxm_secretsd import SecretsApi

    api = SecretsApi(path)
    return lambda name: api.get_secret(secret_name=name, identity=IDENTITY)


def cpu_us():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(each.ru_utime + each.ru_stime for each in used) * 1e6)


def main():
    read = {"package": with_package, "client": with_client}[sys.argv[1]](sys.argv[2])
    for line in sys.stdin:
        _order, _callers, milliseconds, name = line.split()
        name = bytes.fromhex(name).rstrip(b"\0").decode()
        latencies = []
        cpu, begun = cpu_us(), time.perf_counter_ns()
        now = begun
        while not latencies or now - begun < int(milliseconds) * 1_000_000:
            if not read(name):
                print("error the secret cannot be read", flush=True)
                return
            after = time.perf_counter_ns()
            latencies.append(after - now)
            now = after
        print("ok", now - begun, cpu_us() - cpu, 0, *latencies, flush=True)


main()

"""Measures inside a booted machine and prints one JSON object per row: what, unit, goal, values by who.

Usage: measure.py GROUP, with the programs of the peers in PM2 and OXMGR. Every round asks each of them in turn, so that
a machine that is busy for a while is so for all. What a row is called, it says; what is good, its goal.
"""

import glob
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

PM2 = os.environ.get("PM2", "")
OXMGR = os.environ.get("OXMGR", "")
UP = "/srv/up"
SERVER = """const fs = require('fs');
const up = () => fs.writeFileSync('/srv/up/' + process.pid, '');
const port = process.env.BENCH_PORT;
if (port) require('http').createServer((q, s) => s.end('pid ' + process.pid + ';')).listen(
  process.env.BENCH_FD ? { fd: 3 } : port, up);
else { up(); setInterval(() => {}, 1e6); }
"""
HAND = "by hand"
UNIT = "unit by hand"
# The same with what clusterctl keeps before and in each process: the guard against crash loops, and the library.
GUARDED = "guarded by hand"


def row(what, unit, goal, **values):
    values = {name.replace("_", " "): list(all) for name, all in values.items() if all}
    print(json.dumps({"what": what, "unit": unit, "goal": goal, "values": values}), flush=True)


def ratio(to, most):
    return {"to": to.replace("_", " "), "at_most": most}


def at_most(most):
    return {"at_most": most}


def run(*command, fails=False):
    """Seconds that a command takes."""
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=280)
    took = time.monotonic() - begun
    if done.returncode != 0 and not fails:
        sys.exit(f"{command}: {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return took * 1000


def quietly(*command):
    run(*command, fails=True)


def ctl(*arguments):
    return run("clusterctl", *arguments)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def fresh():
    """Forgets who was up."""
    shutil.rmtree(UP, ignore_errors=True)
    os.makedirs(UP)
    os.chmod(UP, 0o777)


def until(happened, patience=120):
    """Milliseconds until something has happened of which nobody tells."""
    begun = time.monotonic()
    while not happened():
        if time.monotonic() - begun > patience:
            sys.exit("waited in vain")
        time.sleep(0.0005)
    return (time.monotonic() - begun) * 1000


def up():
    return len(os.listdir(UP))


def get(port):
    """The process that answers, or nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            client.settimeout(20)
            text = b""
            while more := client.recv(4096):
                text += more
        return int(text.split(b"pid ")[1].split(b";")[0])
    except (OSError, IndexError):
        return None


def node(port=None, fd=None):
    """A node process without anything around it."""
    env = {"PATH": os.environ["PATH"]}
    if port:
        env["BENCH_PORT"] = str(port)
    if fd is not None:
        env["BENCH_FD"] = "1"
        os.dup2(fd, 3, inheritable=True)
    return subprocess.Popen(["node", "/srv/server.js"], env=env, pass_fds=[3] if fd is not None else [],
                            stdout=subprocess.DEVNULL)


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    process.wait()


def app(name, instances, port=None, more="", script="script = 'server.js'\n"):
    listen = f"listen = {port}\nenv.BENCH_PORT = '{port}'\n" if port else ""
    return (f"[[apps]]\nname = '{name}'\n{script}instances = {instances}\n{listen}"
            f"rollout = {{ min_ready = 0{more} }}\n")


SLEEP = "command = ['sleep', 'infinity']\n"


def apps_file(path, *apps):
    write(path, "".join(apps))
    return path


def pm2_start(name, instances, port, mode="cluster"):
    env = {"BENCH_PORT": str(port)} if port else {}
    instances = {"instances": instances} if mode == "cluster" else {}
    one = {"name": name, "script": "/srv/server.js", "exec_mode": mode, "env": env, **instances}
    return [one]


def pm2_file(path, apps):
    write(path, json.dumps({"apps": apps}))
    return path


def ox_file(path, apps):
    text = "version = 1\n"
    for name, instances, port in apps:
        text += f"[[apps]]\nname = '{name}'\ncommand = 'node /srv/server.js'\nrestart_policy = 'always'\n"
        # Ten restarts are all that it makes unless it is told otherwise.
        text += "crash_restart_limit = 0\nmax_restarts = 1000000\n"
        if instances > 1:
            text += f"cluster_mode = true\ncluster_instances = {instances}\n"
        if port:
            text += f"[apps.env]\nBENCH_PORT = '{port}'\n"
    write(path, text)
    return path


def peers_end():
    if PM2:
        quietly(PM2, "kill")
    if OXMGR:
        quietly(OXMGR, "delete", "all")
        quietly(OXMGR, "daemon", "stop")


def crashes():
    """An only instance, and one of four: killed, until it answers, until four serve again."""
    fresh()
    apps_file("/srv/crash.toml", app("one", 1, 3100), app("four", 4, 3110))
    ctl("apply", "/srv/crash.toml")
    ports = {"clusterctl": (3100, 3110)}
    if PM2:
        run(PM2, "start", pm2_file("/srv/crash.json", pm2_start("one", 1, 3101, "fork") + pm2_start("four", 4, 3111)))
        ports["PM2"] = (3101, 3111)
    if OXMGR:
        run(OXMGR, "apply", ox_file("/srv/crash-ox.toml", [("one", 1, 3102), ("four", 4, 3112)]))
        ports["oxmgr"] = (3102, 3112)
    for pair in ports.values():
        for port in pair:
            until(lambda: get(port))
    by_hand_units(3104)
    ports[UNIT] = (3104, 3105)
    ours = open("/etc/systemd/system/one@.service").read().splitlines()
    kept = ("ExecCondition", 'Environment="LD_PRELOAD', 'Environment="NODE_OPTIONS')
    by_hand_units(3106, "guarded", "\n".join(line for line in ours if line.startswith(kept)))
    ports[GUARDED] = (3106, 3107)
    one, four = {HAND: []}, {HAND: []}
    # A start by systemd waits for the kernel's grace periods, which take one or several ticks: few rounds would tell of those.
    for _ in range(15):
        # A run of less than a second would count as one of a loop.
        time.sleep(1.2)
        for who, (alone, many) in ports.items():
            os.kill(get(alone), signal.SIGKILL)
            one.setdefault(who, []).append(until(lambda: get(alone)))
            before = up()
            os.kill(get(many), signal.SIGKILL)
            four.setdefault(who, []).append(until(lambda: up() > before))
        before = up()
        process = node(3103)
        one[HAND].append(until(lambda: get(3103)))
        four[HAND].append(one[HAND][-1])
        end(process, signal.SIGKILL)
    row("crash of the only instance until it answers again", "ms", ratio(UNIT, 1.15), **one)
    row("1 of 4 killed until 4 serve again", "ms", ratio(UNIT, 1.3), **four)
    waking()
    no_units_by_hand()
    peers_end()
    ctl("delete", "all")


def by_hand_units(port, name="least", more=""):
    """The least that systemd itself can do: two units that restart node at once, each with a port of its own, and with
    more lines where something is to be added."""
    for number in range(2):
        write(f"/run/systemd/system/{name}{number}.service",
              "[Unit]\nStartLimitIntervalSec=0\n"
              "[Service]\nType=exec\nExecStart=node /srv/server.js\nWorkingDirectory=/srv\n"
              f"Restart=always\nRestartSec=0\nEnvironment=BENCH_PORT={port + number}\n{more}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", f"{name}0", f"{name}1")
    for number in range(2):
        until(lambda: get(port + number))


def no_units_by_hand():
    for path in glob.glob("/run/systemd/system/least?.service") + glob.glob("/run/systemd/system/guarded?.service"):
        run("systemctl", "stop", os.path.basename(path))
        os.unlink(path)
    run("systemctl", "daemon-reload")


def waking():
    """Nothing runs but the listener; a connection starts the app and is answered."""
    values = {"clusterctl": [], HAND: []}
    sockets = [os.path.basename(path) for path in glob.glob("/etc/systemd/system/one-*.socket")]
    for _ in range(7):
        ctl("stop", "one")
        run("systemctl", "start", *sockets)
        begun = time.monotonic()
        until(lambda: get(3100))
        values["clusterctl"].append((time.monotonic() - begun) * 1000)
        process = node(3103)
        values[HAND].append(until(lambda: get(3103)))
        end(process, signal.SIGKILL)
    row("first connection to an app of which only the listener is there", "ms", ratio(HAND, 2.0), **values)


def hand_units(apps, per, guarded=False):
    """Templates as an administrator would write them, with the sandbox that ours have; guarded: with the process that
    runs before each of ours, and what is loaded into them."""
    ours = open("/etc/systemd/system/n0@.service").read().splitlines()
    kept = ("Protect", "Private", "Restrict", "NoNew", "Capab", "SystemCall", "Lock", "Memory", "Remove", "Umask")
    kept += ("ExecCondition", "Environment=") if guarded else ()
    lines = "\n".join(line for line in ours if line.startswith(kept))
    name = "guarded" if guarded else "hand"
    for number in range(apps):
        write(f"/etc/systemd/system/{name}{number}@.service",
              "[Service]\nType=exec\nExecStart=node /srv/server.js\nWorkingDirectory=/srv\n"
              f"Restart=always\n{lines}\n")
    return [f"{name}{a}@{i}.service" for a in range(apps) for i in range(per)]


def answered(call):
    """Milliseconds of one ListUnitsByPatterns of all services over the manager's own socket."""
    client = socket.socket(socket.AF_UNIX)
    client.connect("/run/systemd/private")
    client.sendall(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n")
    while not client.recv(1, socket.MSG_WAITALL) == b"\n":
        pass

    def text(value):
        value = value.encode()
        return struct.pack("<I", len(value)) + value + b"\0"

    def padded(data, to=8):
        return data + b"\0" * (-len(data) % to)

    body = struct.pack("<I", 0) + struct.pack("<I", len(text("*.service"))) + text("*.service")
    fields = b""
    for code, kind, value in ((1, "o", "/org/freedesktop/systemd1"), (2, "s", "org.freedesktop.systemd1.Manager"),
                              (3, "s", call), (6, "s", "org.freedesktop.systemd1")):
        fields = padded(fields) + bytes([code, 1]) + kind.encode() + b"\0" + text(value)
    fields = padded(fields) + bytes([8, 1]) + b"g\0" + bytes([4]) + b"asas\0"
    head = b"l\1\0\1" + struct.pack("<III", len(body), 1, len(fields)) + fields
    begun = time.monotonic()
    client.sendall(padded(head) + body)
    while True:
        start = client.recv(16, socket.MSG_WAITALL)
        length, _, fields_length = struct.unpack("<III", start[4:])
        client.recv(-(-fields_length // 8) * 8 + length, socket.MSG_WAITALL)
        if start[1] in (2, 3):
            return (time.monotonic() - begun) * 1000


def starts(apps, per):
    """A hundred node processes: first start, questions while they run, stop."""
    shape = f"{apps} x {per}" if per > 1 else f"{apps} apps"
    begin, halt, table, nothing, only, describe = {}, {}, {}, {}, {}, {}
    managing, ending = {}, {}
    fresh()
    path = apps_file("/srv/n.toml", *(app(f"n{a}", per) for a in range(apps)))
    apps_file("/srv/n0.toml", app("n0", per))
    ctl("apply", "/srv/n0.toml")
    units = {HAND: hand_units(apps, per), GUARDED: hand_units(apps, per, guarded=True)}
    alone = [ctl("apply", "/srv/n0.toml") for _ in range(5)]
    described = [ctl("describe", "n0") for _ in range(5)]
    ctl("delete", "all")
    for _ in range(3):
        for who, start, stop, ask in starters(path, units, apps, per):
            fresh()
            begun, worked = time.monotonic(), cpu_of([1])
            start()
            until(lambda: up() >= apps * per)
            begin.setdefault(who, []).append((time.monotonic() - begun) * 1000)
            managing.setdefault(who, []).append((cpu_of([1]) - worked) * 1000)
            for _ in range(5):
                if ask:
                    table.setdefault(who, []).append(run(*ask))
                if who == "clusterctl":
                    table.setdefault("one question", []).append(answered("ListUnitsByPatterns"))
                    nothing.setdefault(who, []).append(ctl("apply", path))
                    only.setdefault(who, []).append(ctl("apply", "--only", "n0", path))
                    describe.setdefault(who, []).append(ctl("describe", "n0"))
            worked = cpu_of([1])
            halt.setdefault(who, []).append(stop())
            ending.setdefault(who, []).append((cpu_of([1]) - worked) * 1000)
            if who == "clusterctl":
                ctl("delete", "all")
            peers_end()
    row(f"first start of 100 node processes, {shape}", "ms", ratio(HAND, 1.15), **begin)
    row(f"stop of 100 node processes, {shape}", "ms", at_most(1500) if per == 1 else None, **halt)
    row(f"CPU of PID 1 for the start of 100 node processes, {shape}", "ms", None, **managing)
    row(f"CPU of PID 1 for the stop of 100 node processes, {shape}", "ms", None, **ending)
    row(f"list of 100, {shape}", "ms", ratio("one question", 1.5), **table)
    row(f"apply that changes nothing, {shape}", "ms", at_most(10), **nothing)
    row(f"apply --only of one that changes nothing, {shape}", "ms", ratio("alone", 1.2), alone=alone, **only)
    row(f"describe of one, {shape}", "ms", ratio("alone", 1.2), alone=described, **describe)


def starters(path, units, apps, per):
    yield "clusterctl", lambda: ctl("apply", path), lambda: ctl("stop", "all"), ["clusterctl", "list"]

    def by_hand(who):
        # What the guard noted in a round before is not there at a first start.
        for note in glob.glob("/run/clusterctl/guarded*"):
            os.remove(note)
        run("systemctl", "daemon-reload")
        run("systemctl", "start", *units[who])

    for who in units:
        yield who, lambda: by_hand(who), lambda: run("systemctl", "stop", *units[who]), None
    if PM2:
        one = [pm2 for a in range(apps) for pm2 in pm2_start(f"n{a}", per, None, "cluster" if per > 1 else "fork")]
        file = pm2_file("/srv/n.json", one)
        yield "PM2", lambda: run(PM2, "start", file), lambda: run(PM2, "stop", "all"), [PM2, "list"]
    if OXMGR:
        file = ox_file("/srv/n-ox.toml", [(f"n{a}", per, None) for a in range(apps)])
        yield "oxmgr", lambda: run(OXMGR, "apply", file), lambda: run(OXMGR, "stop", "all"), [OXMGR, "list"]


def reloads():
    """A reload per process that it starts, against the stop and the start of one; all at once against a few."""
    fresh()
    surge = ", max_surge = '100%'"
    ctl("apply", apps_file("/srv/r.toml", app("few", 4, 3120), app("whole", 4, 3121, surge)))
    if PM2:
        run(PM2, "start", pm2_file("/srv/r.json", pm2_start("few", 4, 3122)))
    if OXMGR:
        run(OXMGR, "apply", ox_file("/srv/r-ox.toml", [("few", 4, 3123)]))
    by_hand_units(3125)
    step, whole = {HAND: [], UNIT: []}, {"default": [], "clusterctl": []}
    for _ in range(7):
        begun = time.monotonic()
        process = node(3124)
        until(lambda: get(3124))
        end(process)
        step[HAND].append((time.monotonic() - begun) * 1000)
        begun = time.monotonic()
        run("systemctl", "restart", "least0")
        until(lambda: get(3125))
        step[UNIT].append((time.monotonic() - begun) * 1000)
        few = ctl("reload", "few")
        step.setdefault("clusterctl", []).append(few / 5)
        whole["default"].append(few)
        whole["clusterctl"].append(ctl("reload", "whole"))
        if PM2:
            step.setdefault("PM2", []).append(run(PM2, "reload", "few") / 4)
        if OXMGR:
            step.setdefault("oxmgr", []).append(run(OXMGR, "reload", "few") / 4)
    row("reload of 4, per process that it starts", "ms", ratio(UNIT, 1.1), **step)
    row("reload of 4 with max_surge = '100%'", "ms", ratio("default", 1.0), **whole)
    no_units_by_hand()
    peers_end()
    ctl("delete", "all")


def small(count, version):
    return app("small", count, None, "", SLEEP + f"env.VERSION = '{version}'\n")


def flat():
    """What each verb costs per instance, of ten and of a thousand."""
    each = {}
    for count, rounds in ((10, 5), (1000, 1)):
        for turn in range(rounds):
            verbs = (("apply", lambda: ctl("apply", apps_file("/srv/s.toml", small(count, turn)))),
                     ("apply that changes nothing", lambda: ctl("apply", "/srv/s.toml")),
                     ("list", lambda: ctl("list")), ("reload", lambda: ctl("reload", "small")),
                     ("stop", lambda: ctl("stop", "small")), ("delete", lambda: ctl("delete", "small")))
            for verb, call in verbs:
                each.setdefault((verb, count), []).append(call() / count)
    for verb in ("apply", "apply that changes nothing", "list", "reload", "stop", "delete"):
        row(f"{verb}, per instance of 1000", "ms", ratio("of 10", 1.2),
            clusterctl=each[verb, 1000], of_10=each[verb, 10])


def beside():
    """A small app beside a thousand instances."""
    ctl("apply", apps_file("/srv/s.toml", small(1000, 0)))
    values = {"clusterctl": [], "daemon-reload": []}
    apps_file("/srv/b.toml", app("beside", 1, None, "", SLEEP))
    for _ in range(5):
        values["clusterctl"].append(ctl("apply", "/srv/b.toml"))
        ctl("delete", "beside")
        values["daemon-reload"].append(run("systemctl", "daemon-reload"))
    row("apply of a small app beside 1000 instances", "ms", ratio("daemon-reload", 1.2), **values)
    ctl("delete", "all")


def pss():
    """Megabytes of all processes, each shared page counted once."""
    kilobytes = 0
    for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
        try:
            lines = open(path).read().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def memory():
    """What stays in memory for four workers."""
    values = {}
    path = apps_file("/srv/n.toml", app("n0", 4))
    ctl("apply", path)
    units = {HAND: hand_units(1, 4)}
    ctl("delete", "all")
    for _ in range(3):
        for who, start, stop, _ in starters(path, units, 1, 4):
            fresh()
            before = pss()
            start()
            until(lambda: up() >= 4)
            # Node gives back what it needed to start.
            time.sleep(2)
            values.setdefault(who, []).append(pss() - before)
            stop()
            if who == "clusterctl":
                ctl("delete", "all")
            peers_end()
    row("memory that stays for 4 workers", "MB", ratio("PM2", 1.0) if PM2 else None, **values)


def held(port, count=400, rate=1000):
    """The most connections of a process over the least, of so many that come one after the other and stay."""
    served, clients = {}, []
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0, begun + number / rate - time.monotonic()))
        client = socket.create_connection(("127.0.0.1", port), 20)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        clients.append(client)
        # Not waited for one by one: the next client comes meanwhile.
        client.setblocking(False)
    for client in clients:
        client.settimeout(20)
        text = b""
        while b";" not in text:
            text += client.recv(4096)
        pid = text.split(b"pid ")[1].split(b";")[0]
        served[pid] = served.get(pid, 0) + 1
        client.close()
    return max(served.values()) / min(served.values()) if len(served) == 4 else float(count)


def cpu_of(pids):
    """Seconds that all threads of processes have worked, to the nanosecond: `stat` counts ticks of a hundredth."""
    files = [path for pid in pids for path in glob.glob(f"/proc/{pid}/task/*/schedstat")]
    return sum(int(open(path).read().split()[0]) for path in files) / 1e9


def cpu_per_client(port, pids, count=4000):
    """Microseconds of the processes for each new connection."""
    before = cpu_of(pids)
    for _ in range(count):
        get(port)
    return (cpu_of(pids) - before) / count * 1e6


def asked(client):
    """The process that answers on a connection."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    text = b""
    while b";" not in text:
        text += client.recv(4096) or sys.exit("the connection has ended")
    return int(text.split(b"pid ")[1].split(b";")[0])


def connected(port, pids):
    """A connection to each of the processes."""
    clients = {}
    while set(clients) != set(pids):
        client = socket.create_connection(("127.0.0.1", port), 20)
        owner = asked(client)
        if owner in clients:
            clients[owner].close()
        clients[owner] = client
    return clients.values()


def cpu_per_request(port, pids, count=1000):
    """Microseconds of the processes for each request, on one connection to each: a process that has answered more is
    quicker, since V8 compiles what runs often."""
    clients = connected(port, pids)
    before = cpu_of(pids)
    # In turn, since node closes a connection that says nothing for 5 s.
    for _ in range(count // 100):
        for client in clients:
            for _ in range(100):
                asked(client)
    used = cpu_of(pids) - before
    for client in clients:
        client.close()
    return used / (count // 100 * 100 * len(clients)) * 1e6


def hold(port):
    """A connection that stays, and the process that has it."""
    client = socket.create_connection(("127.0.0.1", port), 20)
    return client, asked(client)


def longest_wait(port, pid, count=100):
    """Milliseconds until the last of so many clients, one after the other, is served while a process is stopped."""
    clients = [hold(port) for _ in range(40)]
    # It has fewer than all others, who would leave clients to it.
    kept = [client for client, owner in clients if owner != pid or client.close()]
    os.kill(pid, signal.SIGSTOP)
    longest = 0.0
    for _ in range(count):
        begun = time.monotonic()
        get(port)
        longest = max(longest, (time.monotonic() - begun) * 1000)
    os.kill(pid, signal.SIGCONT)
    for client in kept:
        client.close()
    return longest


def spread():
    """How even connections are spread that stay, and what that costs of those that do not."""
    fresh()
    ports = {"clusterctl": 3000, "queue": 3001}
    # Without a word in the file, clients are spread.
    queue = app("queue", 4, 3001).replace("listen", "balance = 'queue'\nlisten", 1)
    ctl("apply", apps_file("/srv/n.toml", app("even", 4, 3000), queue))
    if PM2:
        run(PM2, "start", pm2_file("/srv/p.json", pm2_start("p0", 4, 3300)))
        ports["PM2"] = 3300
    until(lambda: up() >= 4 * len(ports))
    pids = {who: set() for who in ports}
    shares, slow, costs, kept, waits = {}, {}, {}, {}, {}
    for who, port in ports.items():
        until(lambda who=who, port=port: pids[who].add(get(port)) or len(pids[who] - {None}) == 4)
        pids[who].discard(None)
        # Until nothing is compiled any more.
        cpu_per_request(port, pids[who], 20000)
    for turn in range(5):
        for who, port in ports.items():
            shares.setdefault(who, []).append(held(port))
            if turn < 2:
                slow.setdefault(who, []).append(held(port, rate=50))
            # PM2's primary gives a stopped worker its clients, who wait for good.
            if who != "PM2":
                waits.setdefault(who, []).append(longest_wait(port, min(pids[who])))
        # Short ones in turn: what a core does besides, and how warm it is, is the same for all of them.
        for _ in range(4):
            for who, port in ports.items():
                costs.setdefault(who, []).append(cpu_per_client(port, pids[who], 1000))
                kept.setdefault(who, []).append(cpu_per_request(port, pids[who]))
    ctl("delete", "all")
    peers_end()
    row("most of 400 connections that stay, of one of 4", "of the least", at_most(1.05), **shares)
    row("the same at 50 a second", "of the least", at_most(1.05), **slow)
    row("longest wait of 100 clients while 1 of 4 is stopped", "ms", at_most(50), **waits)
    row("CPU of 4 for a new connection", "µs", ratio("queue", 1.1), **costs)
    row("CPU of 4 for a request on a connection that stays", "µs", ratio("queue", 1.02), **kept)


def booting(who, kind):
    """Prepares a boot of a hundred node processes or of a thousand small ones."""
    fresh()
    quietly("clusterctl", "delete", "all")
    written = glob.glob("/etc/systemd/system/*@*.service") + glob.glob("/etc/systemd/system/*.wants/*@*.service")
    for path in written:
        if os.path.basename(path).startswith(("hand", "guarded")):
            os.remove(path)
    count, script = (100, "script = 'server.js'\n") if kind == "node" else (1000, SLEEP)
    ctl("apply", apps_file("/srv/boot.toml", app("n0", count if who == "clusterctl" else 1, None, "", script)))
    if who != "clusterctl":
        units = hand_units(1, count, guarded=who == GUARDED)
        ctl("delete", "all")
        path = f"/etc/systemd/system/{units[0].split('@')[0]}@.service"
        if kind != "node":
            write(path, open(path).read().replace("node /srv/server.js", "sleep infinity"))
        os.makedirs("/etc/systemd/system/multi-user.target.wants", exist_ok=True)
        for unit in units:
            os.symlink(path, f"/etc/systemd/system/multi-user.target.wants/{unit}")


def booted(who, kind):
    """Seconds from the start of the manager until the last of them was active."""
    count = 100 if kind == "node" else 1000
    pattern = {"clusterctl": "n0@*.service", HAND: "hand0@*.service", GUARDED: "guarded0@*.service"}[who]

    def active():
        listed = subprocess.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=active", pattern],
                                capture_output=True, text=True).stdout.split("\n")
        time.sleep(0.3)
        return len(listed) > count

    until(active, 240)
    show = subprocess.run(["systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", pattern],
                          capture_output=True, text=True).stdout
    last = max(int(line.split("=")[1]) for line in show.split() if "=" in line)
    begun = subprocess.run(["systemctl", "show", "-P", "UserspaceTimestampMonotonic"], capture_output=True, text=True)
    print(json.dumps((last - int(begun.stdout)) / 1e6))


GROUPS = {
    "crashes": crashes, "reloads": reloads, "25x4": lambda: starts(25, 4), "100x1": lambda: starts(100, 1),
    "flat": flat, "beside": beside, "memory": memory, "spread": spread, "booting": booting, "booted": booted,
}

if __name__ == "__main__":
    os.environ.update(HOME="/root", PM2_HOME="/root/.pm2")
    write("/srv/server.js", SERVER)
    # The end of the time that a group has is a failure like any other.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("not done in time"))
    try:
        GROUPS[sys.argv[1]](*sys.argv[2:])
    except BaseException:
        # The next group measures on the same machine.
        peers_end()
        no_units_by_hand()
        quietly("clusterctl", "delete", "all")
        raise

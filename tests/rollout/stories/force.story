# --force: the canary was not ready in time, so the rest is restarted as PM2 would.
before 2
wanted 2
old 0-1
force yes
5s timeout 2
5.3s done 2
9s done 0
10s timeout 1

# Nobody reports the canary ready, not even when asked. The answer would have been enough.
before 2
wanted 2
old 0-1
kill_timeout 2s
17s tick
17.1s seen 2 starting
22s tick
22.5s restored
23s done 2

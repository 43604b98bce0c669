# While the canary starts, an old instance dies; systemd starts it with the new definition, and it need not be replaced.
before 2
wanted 2
old 0-1
0.2s seen 1 restarting
0.3s seen 1 starting process 9 restarts 1
0.5s done 2
0.9s seen 1 ready process 9 restarts 1
1.4s done 0
1.6s done 2

# While the canary starts, a pinned instance dies; systemd starts it with the old definition, and it is replaced as the others are.
before 2
wanted 2
old 0-1
pinned 0-1
0.2s seen 1 restarting
0.3s seen 1 starting process 3 restarts 1
0.9s seen 1 ready process 3 restarts 1
1.0s done 2
1.4s done 0
1.8s done 1
2.0s done 2

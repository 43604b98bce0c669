# A pinned instance dies while the canary starts, and the canary fails: nothing is to be done about that instance.
before 2
wanted 2
old 0-1
pinned 0-1
0.2s seen 1 restarting
0.3s seen 1 starting process 9 restarts 1
0.9s seen 1 ready process 9 restarts 1
1.0s failed 2
1.2s done 2
1.3s restored

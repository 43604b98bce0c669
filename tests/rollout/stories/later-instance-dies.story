# One of the last dies 600 ms after it was ready: the rollout ends at once, and everything that was replaced goes back.
before 4
wanted 4
old 0-3
min_ready 1s
0.1s done 4
1.1s tick
1.1s seen 4 ready
1.2s done 0
1.3s done 1
1.4s done 2
1.5s done 3
1.9s seen 1 restarting
2.0s restored
2.2s done 1
2.3s done 0
2.4s done 2
2.5s done 3
3.5s tick
3.5s seen 1 ready
3.5s seen 0 ready
3.5s seen 2 ready
3.5s seen 3 ready
3.7s done 4

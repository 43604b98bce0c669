# An instance that had stayed ready dies while the last ones are replaced: that ends the rollout as well.
before 3
wanted 3
old 0-2
min_ready 1s
restore no
0.1s done 3
1.1s tick
1.1s seen 3 ready
1.2s done 0
2.2s tick
2.2s seen 0 ready
2.4s seen 0 restarting
2.6s done 1

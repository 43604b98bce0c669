# One of the new instances dies soon: their number goes back, and those that serve are not touched.
before 2
wanted 4
new 0-1
restore number
min_ready 1s
0.1s done 2
0.2s done 3
0.6s seen 3 restarting
0.7s restored
0.8s done 3
0.8s done 2

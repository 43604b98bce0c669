# The canary has to stay ready for min_ready, the others do not wait for one another, and the extra instance goes when the
# last has stayed ready as well: two times min_ready in all. At the end all are asked once more.
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
2.2s tick
2.2s seen 0 ready
2.3s tick
2.3s seen 1 ready
2.4s tick
2.4s seen 2 ready
2.5s tick
2.5s seen 3 ready
2.6s done 4

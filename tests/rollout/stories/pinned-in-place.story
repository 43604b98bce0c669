# Without surge the canary is an instance that served; the others stay pinned until it is proven.
before 3
wanted 3
max_surge 0
old 0-2
pinned 0-2
min_ready 1s
0.5s done 0
1.5s tick
1.6s seen 0 ready
1.9s done 1
2.9s done 2
3.9s tick
4.0s seen 1 ready
4.0s seen 2 ready

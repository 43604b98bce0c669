# The machine lost power after two of four: the same command goes on with the extra instance that it finds.
before 4
wanted 4
new 0-1
old 2-3
new 4
min_ready 1s
1s tick
1.1s seen 4 ready
1.1s seen 0 ready
1.1s seen 1 ready
1.6s done 2
2.6s tick
2.6s seen 2 ready
3.2s done 3
4.2s tick
4.2s seen 3 ready
4.3s done 4

# The new release gets ready and crashes a second later.
before 2
wanted 2
old 0-1
min_ready 3s
0.5s done 2
1.5s seen 2 restarting
1.6s restored
1.7s done 2

# Reload of four instances with the defaults: one extra instance first, then one after the other.
before 4
wanted 4
old 0-3
restore no
0.3s done 4
0.6s seen 0 stopping process 1
0.9s seen 0 starting
1.2s done 0
1.8s done 1
2.4s done 2
3.0s done 3
3.1s done 4

# On the way back a restart of ours and one that systemd had planned meet: whichever process is ready in the end counts.
before 2
wanted 2
old 0-1
min_ready 1s
0.1s done 2
1.1s tick
1.1s seen 2 ready
1.2s done 0
1.3s done 1
1.5s seen 0 restarting
1.6s restored
1.7s seen 0 starting process 7
1.8s seen 0 starting process 8
1.9s seen 0 ready process 8
2.0s done 0
2.0s seen 0 ready process 8
2.2s done 1
3.2s tick
3.2s seen 0 ready process 8
3.2s seen 1 ready
3.4s done 2

complete --keep-order --exclusive --command clusterctl --arguments "(CLUSTERCTL_COMPLETE=fish clusterctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"

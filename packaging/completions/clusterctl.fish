# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_clusterctl_global_optspecs
    string join \n user system o/output= h/help V/version
end

function __fish_clusterctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_clusterctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_clusterctl_using_subcommand
    set -l cmd (__fish_clusterctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c clusterctl -n "__fish_clusterctl_needs_command" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_needs_command" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -s V -l version -d 'Print version'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "apply" -d 'Make the running apps what an ecosystem file says'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "start" -d 'Start apps or instances, or a program that has no ecosystem file yet'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "stop" -d 'Stop apps or instances'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "restart" -d 'Restart apps or instances, all at once'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "reload" -d 'Replace every instance of apps, a few at a time, without losing a request'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "gracefulReload" -d 'Replace every instance of apps, a few at a time, without losing a request'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "scale" -d 'Change the number of instances of an app'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "delete" -d 'Stop apps and remove their units'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "del" -d 'Stop apps and remove their units'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "history" -d 'Show what was applied'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "rollback" -d 'Go back to what was applied before'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "audit" -d 'Say how exposed apps are, and what `sandbox = "strict"` would take from them'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "doctor" -d 'Look for what is wrong with the machine and the apps, and say which command mends it'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "dev" -d 'Run the apps of an ecosystem file here and now, without a running systemd'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "exec" -d 'Run a program and hand it its listeners with ptrace, as units of statically linked programs do'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "detect" -d 'Run a program once and print what it listens on'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "list" -d 'Show all instances with their state'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "ls" -d 'Show all instances with their state'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "ps" -d 'Show all instances with their state'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "status" -d 'Show all instances with their state'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "describe" -d 'Show everything about apps: definition, listeners, instances, files, last lines of log'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "show" -d 'Show everything about apps: definition, listeners, instances, files, last lines of log'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "info" -d 'Show everything about apps: definition, listeners, instances, files, last lines of log'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "desc" -d 'Show everything about apps: definition, listeners, instances, files, last lines of log'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "pid" -d 'Print the main processes of apps, one a line'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "logs" -d 'Show what the instances wrote, merged in order, each line with its instance in front'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "log" -d 'Show what the instances wrote, merged in order, each line with its instance in front'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "metrics" -d 'Print metrics of all apps in the OpenMetrics format'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "init" -d 'Write a commented ecosystem file for the project in the current folder'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "ecosystem" -d 'Write a commented ecosystem file for the project in the current folder'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "import" -d 'Make an ecosystem file of what PM2, foreman, supervisord, oxmgr or docker compose runs'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "schema" -d 'Print the JSON schema of ecosystem.toml, for editors'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "unpack" -d 'Write the preload library, the tracer, the Node file and the scripts of units to a directory'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "validate" -d 'Check an ecosystem file, and touch nothing'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "rollout" -d 'Replace every instance of an app, a few at a time'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "watch-files" -d 'Reload an app when files below PATH change'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "check-memory" -d 'Replace the instances of an app that need more memory than so many bytes'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "save" -d 'Not needed: what runs is what starts at boot'
complete -c clusterctl -n "__fish_clusterctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l only -d 'Only these apps of the file' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l env -d 'Use the variables of `env_NAME` too; else those of the last apply, with `none` no others' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l as -d 'The name of the file that standard input stands for: what --prune and history know it by' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l max-surge -d 'Extra instances while it lasts, a number or a share of all' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l max-unavailable -d 'Instances that may be missing at a time' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l min-ready -d 'How long an instance must stay ready before it counts (`2s`; a bare number is milliseconds)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l listen-timeout -d 'How long an instance may take to get ready' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l kill-timeout -d 'How long an instance may drain before it is killed' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l on-failure -d 'What follows when an instance does not get ready' -r -f -a "rollback\t'Put the former definition back'
pause\t'Leave everything as it is'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -s n -l dry-run -d 'Show the plan and what would change in the units, and do nothing'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l prune -d 'Stop and remove apps that are gone from the file'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l force -d 'When an instance is not ready in time, restart the others all the same'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s i -l instances -d 'Processes that share the listener: a number, `max` (all CPUs), -1 (all but one)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s n -l name -d 'Name of the app; else the script\'s without its extension' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -l cwd -d 'Working folder of the program' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -l listen -d 'What it listens on, `80:3000` where its own port 3000 shall be reachable on 80; it is not run to find out' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s l -l log -d 'The file that its output goes into, instead of the journal' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -l timeout -d 'How long to wait for the program to listen (`15s`)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s w -l worker -d 'It listens on nothing; it is not run to find out'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand stop" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand stop" -l disable -d 'Not at the next boot either, until the next start or apply'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand stop" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand stop" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand restart" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand restart" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand restart" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l only -d 'Only these apps of the file' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l env -d 'Use the variables of `env_NAME` of the file too' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l as -d 'The name of the file that standard input stands for' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l max-surge -d 'Extra instances while it lasts, a number or a share of all' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l max-unavailable -d 'Instances that may be missing at a time' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l min-ready -d 'How long an instance must stay ready before it counts (`2s`; a bare number is milliseconds)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l listen-timeout -d 'How long an instance may take to get ready' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l kill-timeout -d 'How long an instance may drain before it is killed' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l on-failure -d 'What follows when an instance does not get ready' -r -f -a "rollback\t'Put the former definition back'
pause\t'Leave everything as it is'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l force -d 'When an instance is not ready in time, restart the others all the same'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l only -d 'Only these apps of the file' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l env -d 'Use the variables of `env_NAME` of the file too' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l as -d 'The name of the file that standard input stands for' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l max-surge -d 'Extra instances while it lasts, a number or a share of all' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l max-unavailable -d 'Instances that may be missing at a time' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l min-ready -d 'How long an instance must stay ready before it counts (`2s`; a bare number is milliseconds)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l listen-timeout -d 'How long an instance may take to get ready' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l kill-timeout -d 'How long an instance may drain before it is killed' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l on-failure -d 'What follows when an instance does not get ready' -r -f -a "rollback\t'Put the former definition back'
pause\t'Leave everything as it is'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l force -d 'When an instance is not ready in time, restart the others all the same'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand gracefulReload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand scale" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand scale" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand scale" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand scale" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand delete" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand delete" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand delete" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand del" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand del" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand del" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand del" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand history" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand history" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand history" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l file -d 'The ecosystem file; without it the one in this folder' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l max-surge -d 'Extra instances while it lasts, a number or a share of all' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l max-unavailable -d 'Instances that may be missing at a time' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l min-ready -d 'How long an instance must stay ready before it counts (`2s`; a bare number is milliseconds)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l listen-timeout -d 'How long an instance may take to get ready' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l kill-timeout -d 'How long an instance may drain before it is killed' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l on-failure -d 'What follows when an instance does not get ready' -r -f -a "rollback\t'Put the former definition back'
pause\t'Leave everything as it is'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -s n -l dry-run -d 'Show the plan and what would change in the units, and do nothing'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l prune -d 'Stop and remove apps that the definition does not have'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l force -d 'When an instance is not ready in time, restart the others all the same'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand audit" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand audit" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand audit" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand audit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand doctor" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand doctor" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand doctor" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -l env -d 'Use the variables of `env_NAME` too' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -s w -l watch -d 'Reload an app when a file in its `cwd` changes, or with PATH all apps when that does' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -s q -l quiet -d 'Print only the apps\' own lines'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -l inner -d 'The process inside of the namespaces'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand dev" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand exec" -l listen-timeout -d 'Let go of a program that does not listen after so many milliseconds' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand exec" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand exec" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand exec" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -l timeout -d 'How long to wait for the program to listen (`15s`)' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -l stage -d 'The processes inside of the namespaces' -r -f -a "watch\t''
init\t''"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand detect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand list" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand list" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand list" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ls" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ls" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ls" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ps" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ps" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ps" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand status" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand status" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand status" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand describe" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand describe" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand describe" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand describe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand show" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand show" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand show" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand info" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand info" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand info" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand desc" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand desc" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand desc" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand desc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand pid" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand pid" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand pid" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand pid" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -s n -l lines -d 'How many of the newest lines, or `all`' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -l instance -d 'Only this instance of the apps' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -s f -l follow -d 'Go on with what comes, until Ctrl-C'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -s n -l lines -d 'How many of the newest lines, or `all`' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -l instance -d 'Only this instance of the apps' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -s f -l follow -d 'Go on with what comes, until Ctrl-C'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand metrics" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand metrics" -l http -d 'Answer one HTTP request that comes on standard input, as `clusterctl-metrics@.service` does'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand metrics" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand metrics" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand init" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand init" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand init" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ecosystem" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ecosystem" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ecosystem" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand ecosystem" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l to -d 'The file to write, which must not exist; `-` is standard output' -r -F
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l no-trial -d 'Run no program to see what it listens on'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l takeover -d 'Move the apps of the PM2 that runs, one by one: units start, take the port over, PM2 stops last'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l give-back -d 'The way back: PM2 runs the apps again that were moved, and their units go'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand completions" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand completions" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand completions" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand schema" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand schema" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand schema" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand unpack" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand unpack" -l by-content -d 'Put them into a directory below that is named by their content, as units name them'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand unpack" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand unpack" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand unpack" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand validate" -l env -d 'Use the variables of `env_NAME` too' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand validate" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand validate" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand validate" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollout" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollout" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollout" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand rollout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -l ignore -d 'Names, and whole paths, that do not count' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -l delay -d 'Milliseconds that nothing may change before the app is reloaded' -r
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand watch-files" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand check-memory" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand check-memory" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand check-memory" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand check-memory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand save" -s o -l output -d 'Form of the output' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c clusterctl -n "__fish_clusterctl_using_subcommand save" -l user -d 'Talk to the service manager of the calling user'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand save" -l system -d 'Talk to the system\'s service manager (default)'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "apply" -d 'Make the running apps what an ecosystem file says'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "start" -d 'Start apps or instances, or a program that has no ecosystem file yet'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "stop" -d 'Stop apps or instances'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "restart" -d 'Restart apps or instances, all at once'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "reload" -d 'Replace every instance of apps, a few at a time, without losing a request'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "scale" -d 'Change the number of instances of an app'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "delete" -d 'Stop apps and remove their units'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "history" -d 'Show what was applied'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "rollback" -d 'Go back to what was applied before'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "audit" -d 'Say how exposed apps are, and what `sandbox = "strict"` would take from them'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "doctor" -d 'Look for what is wrong with the machine and the apps, and say which command mends it'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "dev" -d 'Run the apps of an ecosystem file here and now, without a running systemd'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "exec" -d 'Run a program and hand it its listeners with ptrace, as units of statically linked programs do'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "detect" -d 'Run a program once and print what it listens on'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "list" -d 'Show all instances with their state'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "describe" -d 'Show everything about apps: definition, listeners, instances, files, last lines of log'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "pid" -d 'Print the main processes of apps, one a line'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "logs" -d 'Show what the instances wrote, merged in order, each line with its instance in front'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "metrics" -d 'Print metrics of all apps in the OpenMetrics format'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "init" -d 'Write a commented ecosystem file for the project in the current folder'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "import" -d 'Make an ecosystem file of what PM2, foreman, supervisord, oxmgr or docker compose runs'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "schema" -d 'Print the JSON schema of ecosystem.toml, for editors'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "unpack" -d 'Write the preload library, the tracer, the Node file and the scripts of units to a directory'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "validate" -d 'Check an ecosystem file, and touch nothing'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "rollout" -d 'Replace every instance of an app, a few at a time'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "watch-files" -d 'Reload an app when files below PATH change'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "check-memory" -d 'Replace the instances of an app that need more memory than so many bytes'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "save" -d 'Not needed: what runs is what starts at boot'
complete -c clusterctl -n "__fish_clusterctl_using_subcommand help; and not __fish_seen_subcommand_from apply start stop restart reload scale delete history rollback audit doctor dev exec detect list describe pid logs metrics init import completions schema unpack validate rollout watch-files check-memory save help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'

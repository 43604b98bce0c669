// Defaults that every app spreads, scripts of npm, another language, a job by cron.
const shared = { max_restarts: 10, restart_delay: 2000, autorestart: true, env: { TZ: "UTC", FEATURES: { beta: true } } };

const service = (name, extra) => ({ ...shared, name, cwd: `./packages/${name}`, ...extra });

module.exports = {
  apps: [
    service("gateway", { script: "npm", args: "start", env: { ...shared.env, PORT: "4000" } }),
    service("web", { script: "node_modules/next/dist/bin/next", args: "start -p 3001", interpreter: "node" }),
    service("mail:queue", { script: "worker.py", interpreter: "python3", instances: 2, interpreter_args: "-u" }),
    { name: "report", script: "report.js", cron_restart: "0 4 * * *", autorestart: false },
    { script: "php artisan queue:work --sleep=3 && true", name: "Queue Worker", instances: "1" },
  ],
};

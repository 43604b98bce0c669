// Cluster and fork side by side, a deploy section, profiles, schedules, and spellings that people copy from each other.
const common = { max_memory_restart: "400M", merge_logs: true, time: true };

module.exports = {
  apps: [
    {
      ...common,
      name: "web",
      script: "./bin/www",
      args: "--title \"Hello World\" --tag 'a b'",
      node_args: ["--max-old-space-size=512"],
      instances: "max",
      exec_mode: "cluster",
      env: { NODE_ENV: "development", PORT: 4000 },
      env_production: { NODE_ENV: "production", PORT: 80 },
      watch: ["src", "lib/**/*.js"],
      ignore_watch: ["node_modules", "[\\/\\\\]\\./", /\.log$/, /^dist\/(a|b)/],
      cron_restart: "0 3 * * *",
    },
    { ...common, name: "mailer", script: "./mail.js", instances: 2, exec_mode: "fork", cron_restart: "*/30 * * * *" },
    { name: "front", script: "npm", args: "run preview -- --port 4173", interpreter: "none" },
    // A program of PATH with arguments for the one that runs it.
    { name: "heap", script: "npm", args: "start", node_args: "--max-old-space-size=512" },
    { name: "shell", script: "npm", args: "start", interpreter: "/usr/bin/bash" },
    { name: "report", script: "report.py", exec_interpreter: "python3", interpreter: "python3", autorestart: false },
    { name: "other", script: "report.py", exec_interpreter: "python3", interpreter: "python3.11", autorestart: false },
  ],
  deploy: {
    production: {
      user: "node",
      host: ["10.0.0.1"],
      ref: "origin/main",
      repo: "git@example.org:shop.git",
      path: "/srv/shop",
      "post-deploy": "npm ci && pm2 reload ecosystem.config.js --env production",
    },
  },
};

// A release folder, two environments, and PM2's own deployment.
const path = require("path");

module.exports = {
  apps: [
    {
      name: "storefront",
      script: "./dist/main.js",
      cwd: path.join(__dirname, "current"),
      instances: "max",
      exec_mode: "cluster",
      node_args: "--max-old-space-size=512 -r dotenv/config",
      watch: false,
      max_memory_restart: "500M",
      merge_logs: true,
      time: true,
      wait_ready: true,
      listen_timeout: 10000,
      kill_timeout: 30000,
      error_file: "logs/err.log",
      out_file: "logs/out.log",
      env: { NODE_ENV: "development", PORT: 3000 },
      env_production: { NODE_ENV: "production", PORT: "8080" },
    },
  ],
  deploy: {
    production: { user: "deploy", host: "203.0.113.7", ref: "origin/main", repo: "git@example.org:s.git", path: "/srv" },
  },
};

import { cpus } from "node:os";

console.log("a configuration that talks");

export default {
  apps: [
    {
      name: "hooks",
      script: "src/main.js",
      instances: Math.min(cpus().length, 1),
      env: { NODE_ENV: "production", API_TOKEN: process.env.NO_SUCH_VARIABLE, SESSION_SECRET: "s3cret", on: () => 1 },
      env_file: ".env",
      increment_var: "PORT",
      exp_backoff_restart_delay: 100,
    },
  ],
};

// Instances behind a balancer of their own, each with the next port.
module.exports = {
  apps: [{ name: "api", script: "server.js", instances: 4, increment_var: "PORT", env: { PORT: 3000 } }],
};

module.exports = [
  { name: "a", script: "server.js", port: 3001 },
  { name: "a", script: "server.js", args: ["--port", "3002"] },
  { name: "nginx", script: "./server", interpreter: "none", env: { PORT: 8088 } },
];

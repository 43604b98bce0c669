const config = require("./not-there");
module.exports = config;

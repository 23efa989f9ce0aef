const express = require("express");

const greeting = "Hello from Node.js";
const port = process.env.PORT || 3000;
const app = express();

app.get("/", (_request, response) => {
  response.type("text").send(`${greeting}, release ${process.env.SKY_RELEASE || "none"}\n`);
});

app.listen(port, "0.0.0.0", () => console.log(`listening on ${port}`));

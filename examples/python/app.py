import os

from flask import Flask

GREETING = "Hello from Python"
app = Flask(__name__)


@app.get("/")
def hello():
    return f"{GREETING}, release {os.environ.get('SKY_RELEASE', 'none')}\n", 200, {"Content-Type": "text/plain"}

<?php
header('Content-Type: text/plain');
$greeting = 'Hello from PHP';
echo $greeting, ', release ', getenv('SKY_RELEASE'), "\n";

#!/usr/bin/env bash
# Makes pointsam/report/web/three.js: what the report's viewer uses of three.js (MIT), as one plain script.
# Needs node and npm. The result is part of the package; run this again only to move to another release.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --prefix "$folder" three@0.187.0 esbuild@0.28.2
cat > "$folder/parts.js" <<'END'
export { BufferAttribute, BufferGeometry, LineBasicMaterial, LineSegments, PerspectiveCamera, Points } from 'three';
export { PointsMaterial, Raycaster, Scene, Vector2, Vector3, WebGLRenderer } from 'three';
export { OrbitControls } from 'three/addons/controls/OrbitControls.js';
END
{
  echo "/* three.js 0.187.0, Copyright 2010-2026 three.js authors, MIT License; bundled by scripts/bundle_three.sh */"
  "$folder/node_modules/.bin/esbuild" "$folder/parts.js" --bundle --minify --format=iife --global-name=THREE --legal-comments=none
} > pointsam/report/web/three.js
ls -l pointsam/report/web/three.js

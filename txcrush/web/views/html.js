// Preact and htm, under the names that the views use.
export {
  html, render, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, createContext, useContext, Component,
} from "../vendor/htm-3.1.1/preact/standalone.module.js";
